// Writes the golden record batches of src/record/fixtures anew, each by the codec of a real Kafka client.
// Run it with: node scripts/make-golden-batches.ts
// Do so only to add cases: files that exist are to stay as they are, so that they keep pinning the format.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describeBatch, fixturesPath, goldenCases } from '../src/record/golden.test-support.ts'
import { kafkajs, platformatic } from '../src/record/kafka-clients.test-support.ts'

const rewrite = process.argv.includes('--rewrite')

for (const { name, client, batch } of goldenCases) {
  const path = join(fixturesPath, `${name}.bin`)
  if (existsSync(path) && !rewrite) {
    process.stderr.write(`${name}: kept (--rewrite writes it anew)\n`)
    continue
  }
  const codec = client === 'kafkajs' ? kafkajs : platformatic
  const bytes = await codec.encode(batch)
  writeFileSync(path, bytes)
  writeFileSync(join(fixturesPath, `${name}.json`), describeBatch(client, versionOf(client), batch))
  process.stderr.write(`${name}: ${bytes.length} bytes\n`)
}

function versionOf(client: string): string {
  const manifest = join(import.meta.dirname, '..', 'node_modules', client, 'package.json')
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version
}
