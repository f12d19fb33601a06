#!/usr/bin/env node
// The door of the command line. It only checks the version, in a syntax that every Node since 14 reads: an older one
// would answer the real program with an error about its syntax, or about a module that it does not have.

const versionMin = 24
const major = Number.parseInt(process.versions.node, 10)

if (major < versionMin) {
  process.stderr.write(
    `millrace needs Node.js ${versionMin} or newer; this is Node.js ${process.versions.node} (${process.execPath}).\n` +
      `Install a newer one from https://nodejs.org/, or run: npx --package=node@${versionMin} --package=millrace millrace\n`,
  )
  process.exitCode = 1
} else {
  const { main } = await import('../dist/cli/main.js')
  process.exitCode = await main(process.argv.slice(2))
}
