// A local SVM chain with a bridge on it, and what a test has happen there: a line of JSON in, one out.
import { createInterface } from "node:readline";
import { Server } from "../../../../testnet/svm/lib/server.mjs";
import { MEMO, key, token } from "../../../../testnet/svm/lib/wallet.mjs";
import { DAY, PEER, World, operators, world } from "../../../../testnet/svm/test/support.mjs";

const PROVIDERS = 3;
/** So many calls of another program fill the logs. */
const MEMOS = 48;
const DATA = "Program data: ";
const AMOUNT_END = 184;

const w = world();
const servers = Array.from({ length: PROVIDERS }, () => new Server(w.chain));
for (const server of servers) await server.listen(0);

const twin = Object.assign(Object.create(World.prototype), w, { bridge: w.deploy("twin") });
twin.initialize(operators(4, { name: "attacker" }));
twin.createAssociated(twin.bridge.address, twin.mint);
twin.run(twin.bridge.setPeer(twin.admin.address, PEER), { by: twin.admin });
twin.run(twin.bridge.setToken(twin.admin.address, PEER, twin.token), { by: twin.admin });

let number = 0n;
function send(from = w, amount = 10n) {
  number += 1n;
  const fields = { amount, deadline: BigInt(w.now() + DAY), receiver: Buffer.alloc(20, 0x22) };
  return from.bridge.send(w.user.address, PEER, w.token, number, fields);
}
const memo = (text) => ({ program: MEMO, accounts: [], data: Buffer.from(text) });
const advance = (slots) => {
  for (let i = 0; i < slots; i += 1) w.chain.advance();
};
const hex = (bytes) => `0x${bytes.toString("hex")}`;

const commands = {
  /** In a slot each. */
  send({ count }) {
    for (let i = 0; i < count; i += 1) {
      w.run(send(), { by: w.user });
      advance(1);
    }
  },
  /** Beside an event of another program, and text that looks like one. */
  forged() {
    const { logs } = w.run([send(twin, 990n), send()], { by: w.user });
    const line = logs.find((entry) => entry.startsWith("Program data: "));
    w.run([memo(line), send()], { by: w.user });
    advance(1);
  },
  /** Two in a transaction whose logs are cut before; one that fails. */
  cut() {
    const memos = Array.from({ length: MEMOS }, () => memo("x"));
    const { logs } = w.run([...memos, send(w, 30n), send(w, 40n)], { by: w.user });
    const late = token.mintTo(w.mint, w.user.address, w.user.address, 1n);
    return { cut: logs.includes("Log truncated"), failed: w.try([send(), late], { by: w.user }).err !== null };
  },
  close({ nonce }) {
    const transfer = w.transfer({ nonce: BigInt(nonce) });
    const digest = w.certify(w.statement(transfer));
    const close = w.bridge.close(w.receiver.address, w.relayer.address, w.epoch, digest, PEER, transfer);
    w.run(close, { by: w.receiver });
    return { time: w.now() };
  },
  pause: () => void w.run(w.bridge.pause(w.guardian.address), { by: w.guardian }),
  advance: ({ slots }) => advance(slots),
  skip: ({ slots }) => w.chain.advance(slots + 1),
  /** The last transaction as a provider shows it, with another amount in its event. */
  forgery() {
    const [signature] = w.chain.byAddress.get(w.bridge.peer(PEER)).slice(-1);
    const options = { maxSupportedTransactionVersion: 0 };
    const shown = structuredClone(servers[0].provider.call("getTransaction", [signature, options]));
    const { logMessages } = shown.meta;
    const at = logMessages.findIndex((entry) => entry.startsWith(DATA));
    const event = Buffer.from(logMessages[at].slice(DATA.length), "base64");
    event[AMOUNT_END - 1] ^= 1 << 6;
    logMessages[at] = DATA + event.toString("base64");
    return shown;
  },
  faults: ({ provider, faults }) => servers[provider].provider.setFaults(faults),
};

const say = (value) => console.log(JSON.stringify(value ?? null));
say({
  urls: servers.map((server) => server.urls.http),
  genesis: w.chain.genesisHash,
  program: hex(key(w.bridge.program)),
  peer: { chain: Number(PEER.chain), contract: hex(PEER.contract) },
});
for await (const line of createInterface({ input: process.stdin })) {
  const { name, ...told } = JSON.parse(line);
  say(commands[name](told));
}
process.exit(0);
