// A local SVM chain: node server.mjs --help
import { parseArgs } from "node:util";
import { Chain } from "./lib/chain.mjs";
import { Server } from "./lib/server.mjs";

const HELP = `A local SVM chain for tests, on 127.0.0.1.

  --port N           JSON-RPC; WebSocket is on the port after it. 0, the default, takes any two
  --providers N      providers of the chain, each with two ports and with faults of its own (1)
  --slot-ms N        milliseconds of a slot (400); 0 for none but those that admin_advance makes
  --confirmed N      slots after which a block is confirmed (1)
  --finalized N      slots after which it is finalized (32)
  --genesis TEXT     what the genesis hash is made of (random)
  --until-stdin-ends stop when standard input is closed

When it answers, one line of JSON is printed: {"ports":[…],"providers":[{"http":…,"ws":…}],"genesisHash":…}`;

const { values } = parseArgs({
  options: {
    port: { type: "string", default: "0" },
    providers: { type: "string", default: "1" },
    "slot-ms": { type: "string", default: "400" },
    confirmed: { type: "string", default: "1" },
    finalized: { type: "string", default: "32" },
    genesis: { type: "string" },
    "until-stdin-ends": { type: "boolean" },
    help: { type: "boolean" },
  },
});

function number(name, most) {
  const value = Number(values[name]);
  if (Number.isInteger(value) && value >= 0 && value <= most) return value;
  console.error(`--${name} is a whole number from 0 to ${most}, not ${values[name]}`);
  process.exit(2);
}

if (values.help) {
  console.log(HELP);
  process.exit(0);
}

const chain = new Chain({
  confirmed: number("confirmed", 512),
  finalized: number("finalized", 512),
  ...(values.genesis && { genesis: Buffer.from(values.genesis) }),
});
const stop = () => process.exit(0);
const port = number("port", 65_534);
const servers = [];
for (let index = 0; index < number("providers", 16); index += 1) {
  const server = new Server(chain, { stop });
  await server.listen(port ? port + 2 * index : 0);
  servers.push(server);
}
const slotMs = number("slot-ms", 60_000);
if (slotMs > 0) setInterval(() => chain.advance(), slotMs);
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, stop);
if (values["until-stdin-ends"]) process.stdin.on("end", stop).resume();

const providers = servers.map(({ urls }) => urls);
const ports = servers.map((server) => server.port);
console.log(JSON.stringify({ ports, providers, genesisHash: chain.genesisHash }));
