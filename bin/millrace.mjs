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
  const program = new URL('../dist/cli/main.js', import.meta.url)
  const { existsSync } = await import('node:fs')
  if (existsSync(program)) {
    const { main } = await import(program.href)
    process.exitCode = await main(process.argv.slice(2))
  } else {
    process.stderr.write(
      'millrace is not built: dist/cli/main.js is missing. In a clone of its sources, run: npm run build\n',
    )
    process.exitCode = 1
  }
}
