// Compiler settings of the published artifacts, and the one call to the compiler.
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");

export const settings = {
  optimizer: { enabled: true, runs: 10000 },
  evmVersion: "cancun",
  // Without a metadata hash the bytecode depends on the code alone, not on comments or file names.
  metadata: { bytecodeHash: "none", appendCBOR: false },
};

export function compile() {
  const solc = createRequire(import.meta.url)("solc");
  const names = readdirSync(join(root, "src")).filter((name) => name.endsWith(".sol")).sort();
  const input = {
    language: "Solidity",
    sources: Object.fromEntries(
      names.map((name) => [`src/${name}`, { content: readFileSync(join(root, "src", name), "utf8") }]),
    ),
    settings: {
      ...settings,
      remappings: ["@openzeppelin/=node_modules/@openzeppelin/"],
      outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] } },
    },
  };
  const findImport = (path) => {
    try {
      return { contents: readFileSync(join(root, path), "utf8") };
    } catch (error) {
      return { error: error.message };
    }
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: findImport }));
  const contracts = Object.values(output.contracts ?? {}).reduce((all, file) => ({ ...all, ...file }), {});
  const isOurs = ({ severity, sourceLocation }) => severity === "error" || !sourceLocation?.file.startsWith("node_modules/");
  return { problems: (output.errors ?? []).filter(isOurs), contracts };
}
