// The bridge on a local SVM chain, for the local network: node bridge.mjs setup | send | balance, each with JSON on
// standard input, and JSON on standard output. Bytes are hexadecimal, keys of wallets base58.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Bridge, OperatorSet } from "./lib/bridge.mjs";
import { encode } from "./lib/base58.mjs";
import { associated, key, system, token, transaction, wallet } from "./lib/wallet.mjs";

const PROGRAM = readFileSync(join(import.meta.dirname, "../../chain/artifacts/svm/bridge.so"));
const TOKEN_PROGRAM = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA";
const COINS = 100_000_000_000;
/** Until a transaction is confirmed at most, and between two looks. */
const [PATIENCE_MS, LOOK_MS] = [20_000, 50];
const QUEUE_DELAY = 3_600;
const BURN_AND_MINT = 2;
/** Of the minted token. */
const DECIMALS = 9;

const hex = (text) => Buffer.from(text.replace(/^0x/, ""), "hex");
const [admin, user] = [wallet("admin"), wallet("user")];

class Rpc {
  constructor(url) {
    this.url = url;
  }
  async call(method, ...params) {
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
    const answer = await fetch(this.url, { method: "POST", headers: { "content-type": "application/json" }, body });
    const { result, error } = await answer.json();
    if (error) throw new Error(`${method}: ${error.message} ${JSON.stringify(error.data?.logs ?? "")}`);
    return result;
  }
  /** Returns once the instructions are executed, in one transaction. */
  async run(instructions, wallets) {
    const { value } = await this.call("getLatestBlockhash", { commitment: "confirmed" });
    const bytes = transaction([instructions].flat(), wallets, value.blockhash);
    const options = { encoding: "base64", preflightCommitment: "processed" };
    const signature = await this.call("sendTransaction", bytes.toString("base64"), options);
    await until(async () => {
      const [status] = (await this.call("getSignatureStatuses", [signature])).value;
      if (status?.err) throw new Error(JSON.stringify(status.err));
      return status?.confirmationStatus === "confirmed" || status?.confirmationStatus === "finalized";
    });
    return signature;
  }
}

async function until(look) {
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await look())) {
    if (Date.now() > deadline) throw new Error("not within 20 seconds");
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

const end = ({ chain, contract }) => ({ chain: BigInt(chain), contract: hex(contract) });

const commands = {
  /** The program with its first set, and a token that is minted for what is locked at each peer. */
  async setup({ url, chain, domain, lifetime, set, peers, payers }) {
    const rpc = new Rpc(url);
    for (const address of [admin.address, user.address, ...payers.map((payer) => encode(hex(payer)))]) {
      await rpc.call("requestAirdrop", address, COINS);
    }
    const program = wallet("bridge program").address;
    await rpc.call("admin_load", { address: program, program: PROGRAM.toString("base64"), authority: admin.address });
    const bridge = new Bridge(program, BigInt(chain));
    const members = set.members.map(({ operator, key, weight }) => ({
      operator: hex(operator),
      key: hex(key),
      weight: BigInt(weight),
    }));
    const first = new OperatorSet(members);
    const settings = {
      domain: hex(domain),
      authority: admin.address,
      guardian: admin.address,
      lifetime,
      limitDelay: QUEUE_DELAY,
      anchorDelay: Math.floor(lifetime / 2),
      epoch: set.epoch,
      time: set.time,
      set: first,
    };
    await rpc.run(bridge.initialize(admin.address, settings), [admin]);
    for (let part = 0; part < first.parts; part += 1) {
      await rpc.run(bridge.install(admin.address, set.epoch, first.part(part)), [admin]);
    }
    const mints = [];
    for (const { remote, unit, limit, ...peer } of peers) {
      const mint = wallet(`mint ${mints.length}`);
      const rent = await rpc.call("getMinimumBalanceForRentExemption", token.MINT_SIZE);
      const there = end(peer);
      await rpc.run(
        [
          system.create(admin.address, mint.address, rent, token.MINT_SIZE, TOKEN_PROGRAM),
          token.initializeMint(mint.address, DECIMALS, bridge.address),
          token.createAssociated(admin.address, bridge.address, mint.address),
          bridge.setPeer(admin.address, there),
        ],
        [admin, mint],
      );
      const limits = { transferLimit: BigInt(limit), windowLimit: BigInt(limit) };
      const terms = { remote: hex(remote), mint: mint.address, mode: BURN_AND_MINT, unit: BigInt(unit), ...limits };
      await rpc.run(bridge.setToken(admin.address, there, terms), [admin]);
      mints.push(key(mint.address).toString("hex"));
    }
    return { program: key(program).toString("hex"), user: key(user.address).toString("hex"), mints };
  },

  /** Burns what the user holds, for a receiver at a peer. */
  async send({ url, chain, program, peer, remote, mint, amount, deadline, receiver }) {
    const bridge = new Bridge(encode(hex(program)), BigInt(chain));
    const id = BigInt(Date.now());
    const fields = { amount: BigInt(amount), deadline: BigInt(deadline), receiver: hex(receiver) };
    const which = { remote: hex(remote), mint: encode(hex(mint)) };
    const send = bridge.send(user.address, end(peer), which, id, fields);
    return { signature: await new Rpc(url).run(send, [user]) };
  },

  /** Of a wallet's associated account. */
  async balance({ url, owner, mint }) {
    const address = associated(encode(hex(owner)), encode(hex(mint)));
    const options = { commitment: "confirmed", encoding: "base64" };
    const { value } = await new Rpc(url).call("getAccountInfo", address, options);
    const data = value ? Buffer.from(value.data[0], "base64") : null;
    return { amount: data ? data.readBigUInt64LE(64).toString() : "0" };
  },
};

const command = commands[process.argv[2]];
if (!command) {
  console.error(`usage: node bridge.mjs ${Object.keys(commands).join(" | ")}`);
  process.exit(2);
}
try {
  console.log(JSON.stringify(await command(JSON.parse(readFileSync(0, "utf8")))));
} catch (error) {
  console.error(`bridge.mjs ${process.argv[2]}: ${error.message}`);
  process.exit(1);
}
