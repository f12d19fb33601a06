/**
 * One process of the app that is measured: `node kafka-worker.ts <brokers> <prefix> <database> <schema>`. It works until its
 * standard input ends.
 */
import { deployment } from '../src/index.ts'
import { kafka } from '../src/kafka/index.ts'
import { postgres } from '../src/postgres/index.ts'
import { taking } from './taking.ts'

const [brokers = '', prefix = '', connection = '', schema = ''] = process.argv.slice(2)
const engine = deployment({
  topics: kafka({ brokers: brokers.split(','), prefix }),
  store: postgres({ connection, schema }),
})
const running = await taking.start({ engine })
process.stdin.resume().once('end', () => void running.stop())
