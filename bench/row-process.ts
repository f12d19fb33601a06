// Runs one row in a process of its own, so that no row finds the heap or the compiled code of another, and prints its
// figures as one JSON line. Started by main.ts: node bench/row-process.ts <row> [--quick]
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { besideRows, engineRows, rivalRows, rows } from './rows/index.ts'

const [name, mode] = process.argv.slice(2)
const load = [...rows, ...engineRows, ...besideRows, ...rivalRows].find((row) => row.name === name)?.load
if (load === undefined) throw new Error(`there is no row ${name}`)
const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
// Whatever ends this process, gigabytes must not stay behind.
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
const row = await load()
const figures = await row.run({ quick: mode === '--quick', folder })
process.stdout.write(`${JSON.stringify(figures)}\n`)
