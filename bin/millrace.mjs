#!/usr/bin/env node
// The door of the command line. It only checks the version, in a syntax that every Node since 14 reads: an older one
// would answer the real program with an error about its syntax, or about a module that it does not have.

// The first Node.js 24 with a SQLite that loses nothing (3.51.3).
const versionMin = '24.15'
const [major, minor] = process.versions.node.split('.').map(Number)

if (major < 24 || (major === 24 && minor < 15)) {
  process.stderr.write(
    `millrace needs Node.js ${versionMin} or newer; this is Node.js ${process.versions.node} (${process.execPath}).\n` +
      `Install a newer one from https://nodejs.org/, or run: npx --package=node@24 --package=millrace millrace\n`,
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
