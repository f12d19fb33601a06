// Writes the golden database of the file format that this code writes, with a description of what is in it.
// Run it with: node scripts/make-golden-database.ts
// Files that exist are to stay as they are: they prove that later versions read what earlier ones wrote. A format that is
// not published yet may be written anew with --rewrite.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { fillGolden, goldenClock, goldenPath, readGolden } from '../src/embedded/golden.test-support.ts'
import { embedded } from '../src/embedded/index.ts'
import { formatVersion } from '../src/embedded/store/schema.ts'
import { SeededRandom } from '../src/kernel/index.ts'

const target = join(goldenPath, `format-${formatVersion}`)
if (existsSync(`${target}.db.gz`) && !process.argv.includes('--rewrite')) {
  process.stderr.write(`format-${formatVersion}: kept (--rewrite writes it anew)\n`)
} else {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-golden-'))
  const path = join(folder, 'golden.db')
  const clock = goldenClock()
  const engine = await embedded({ path, maintenanceIntervalMs: 0 }).open({ clock, random: new SeededRandom(1) })
  await fillGolden(engine, clock)
  const description = await readGolden(engine)
  await engine.close()
  mkdirSync(goldenPath, { recursive: true })
  const bytes = gzipSync(readFileSync(path), { level: 9 })
  writeFileSync(`${target}.db.gz`, bytes)
  writeFileSync(`${target}.json`, `${JSON.stringify(description, null, 2)}\n`)
  rmSync(folder, { recursive: true })
  process.stderr.write(`format-${formatVersion}: ${bytes.length} bytes\n`)
}
