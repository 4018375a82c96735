// What certificate checks, stored sets, changes of a full set, judgements and transfers cost on chain, as tables or with --json.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { forge } from "./forge.mjs";

forge("test", "--match-contract", "GasTest");
const reports = ["gas.jsonl", "judge-gas.jsonl", "bridge-gas.jsonl"].map((name) => join(import.meta.dirname, "..", "out", name));
const lines = reports.flatMap((report) => readFileSync(report, "utf8").trim().split("\n"));
const rows = lines.map((line) => JSON.parse(line));

function table(title, rows) {
  const columns = Object.keys(rows[0]);
  const line = (cells) => cells.map((cell) => String(cell).padStart(13)).join("");
  console.log(title);
  console.log(line(columns));
  for (const row of rows) console.log(line(columns.map((column) => row[column])));
}

if (process.argv.includes("--json")) {
  console.log(JSON.stringify(rows, null, 2));
} else {
  table("Gas of isValidSignature by form and number of signers, storage cold", rows.filter((row) => row.form));
  const isStored = (row) => row.call && row.set !== "full";
  table("\nGas of storing a set: new, unchanged since the epoch before, or changed by all since it was fixed", rows.filter(isStored));
  table("\nGas of a change that replaces the lightest member of a full set", rows.filter((row) => row.set === "full"));
  table("\nGas of a judgement: the first case of an operator, another while it is jailed", rows.filter((row) => row.judge));
  table("\nGas of a bridge's calls, with certificates by 13 of 19", rows.filter((row) => row.bridge));
}
