#!/usr/bin/env node
// npm's Solidity compiler with the command line of the native one, as far as py-solc-x and forge use it:
// `--version` prints the version, anything else compiles standard JSON from stdin to stdout.
// (npm's own `solcjs --standard-json` prints a stray line first, which breaks the JSON.)
const { readFileSync } = require("node:fs");
const solc = require("solc");

if (process.argv.includes("--version")) {
  console.log(`solc, the solidity compiler commandline interface\nVersion: ${solc.version()}`);
} else {
  process.stdout.write(solc.compile(readFileSync(0, "utf8")));
}
