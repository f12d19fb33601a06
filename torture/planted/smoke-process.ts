// Writes a little and reads it again: what cannot even do that has no bug worth catching. Started by nets.ts.

import { app } from '../../src/app/index.ts'
import { embedded } from '../../src/embedded/index.ts'
import { InvariantError } from '../../src/kernel/index.ts'

await using engine = await embedded({ path: ':memory:' }).open()
await engine.topics.create('smoke', { partitions: 1 })
await engine.commit({ publish: [{ topic: 'smoke', records: [{ key: null, value: 'smoke' }] }] })
const { records } = await engine.topics.read({ topic: 'smoke', partition: 0, offset: 0 })
if (records.length !== 1) throw new InvariantError('one record was published')
await using running = await app('smoke', {}).start({ engine })
await running.idle()
