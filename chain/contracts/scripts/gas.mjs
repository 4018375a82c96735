// What a certificate check costs on chain, as a table or with --json.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { forge } from "./forge.mjs";

forge("test", "--match-contract", "GasTest");
const report = join(import.meta.dirname, "..", "out", "gas.jsonl");
const rows = readFileSync(report, "utf8").trim().split("\n").map((line) => JSON.parse(line));

if (process.argv.includes("--json")) {
  console.log(JSON.stringify(rows, null, 2));
} else {
  const columns = Object.keys(rows[0]);
  const line = (cells) => cells.map((cell) => String(cell).padStart(11)).join("");
  console.log("Gas of isValidSignature by number of signers, storage cold");
  console.log(line(columns));
  for (const row of rows) console.log(line(columns.map((column) => row[column])));
}
