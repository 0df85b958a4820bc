#!/usr/bin/env node
// forge, with its exit code: the launcher that its npm package installs answers 0 whatever happened, also when a test
// failed or a gas snapshot differs.
const { spawnSync } = require("node:child_process");

const architecture = { x64: "amd64", arm64: "arm64" }[process.arch];
const name = process.platform === "win32" ? "forge.exe" : "forge";
const binary = require.resolve(`@foundry-rs/forge-${process.platform}-${architecture}/bin/${name}`);
const ran = spawnSync(binary, process.argv.slice(2), { stdio: "inherit" });
if (ran.error) throw ran.error;
process.exit(ran.status ?? 1);
