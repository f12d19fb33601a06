import { testWorkers } from './workers-on-ground.test-support.ts'

testWorkers({ ground: 'kafka', portDistance: 5500 })
