// Writes ../artifacts, or with --check compares them and writes nothing.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { compile } from "./scripts/compiler.mjs";

const PUBLISHED = [
  "ArbStateManager",
  "Bridge",
  "BridgedToken",
  "ChainDirectory",
  "EigenWeightSource",
  "EpochManager",
  "EquivocationJudge",
  "ExampleConsumer",
  "LightStakeRegistry",
  "OwnerSlashingDecider",
  "StakeRegistry",
  "StakeVault",
  "StateManager",
];
const CODE_LIMIT = 24576; // EIP-170

const directory = join(import.meta.dirname, "..", "artifacts");
const check = process.argv.includes("--check");

const { problems, contracts } = compile();
for (const problem of problems) console.error(problem.formattedMessage);
if (problems.length > 0) process.exit(1); // a warning fails too

const stale = [];
if (!check) mkdirSync(directory, { recursive: true });
for (const name of PUBLISHED) {
  const { abi, evm } = contracts[name];
  const size = evm.deployedBytecode.object.length / 2;
  if (size > CODE_LIMIT) {
    console.error(`${name}: ${size} bytes of code, more than the ${CODE_LIMIT} that can be deployed`);
    process.exit(1);
  }
  const text = `${JSON.stringify({ abi, bytecode: { object: `0x${evm.bytecode.object}` } }, null, 2)}\n`;
  const path = join(directory, `${name}.json`);
  const current = existsSync(path) ? readFileSync(path, "utf8") : "";
  if (current === text) continue;
  stale.push(name);
  if (!check) {
    writeFileSync(path, text);
    console.log(`wrote ${name}.json (${size} bytes of code)`);
  }
}

if (check && stale.length > 0) {
  for (const name of stale) console.error(`artifacts/${name}.json is stale: run "npm run build" in chain/contracts`);
  process.exit(1);
}
