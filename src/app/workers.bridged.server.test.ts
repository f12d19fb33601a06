import { testWorkers } from './workers-on-ground.test-support.ts'

testWorkers({ ground: 'kafka+postgres', portDistance: 5600 })
