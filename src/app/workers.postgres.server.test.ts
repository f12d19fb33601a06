import { testWorkers } from './workers-on-ground.test-support.ts'

testWorkers({ ground: 'postgres', portDistance: 5700 })
