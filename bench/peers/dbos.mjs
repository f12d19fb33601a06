// DBOS Transact: a workflow of two steps, durable in PostgreSQL. node dbos.mjs <database>
import { DBOS } from '@dbos-inc/dbos-sdk'
import { serve } from './load.mjs'

const checkout = DBOS.registerWorkflow(
  async ({ orderId, total }) => {
    const { reservation } = await DBOS.runStep(async () => ({ reservation: `r-${orderId}` }), { name: 'reserve' })
    const { receipt } = await DBOS.runStep(async () => ({ receipt: `c-${total}` }), { name: 'charge' })
    return { reservation, receipt }
  },
  { name: 'checkout' },
)
DBOS.setConfig({ name: 'bench', systemDatabaseUrl: process.argv[2], logLevel: 'error' })
await DBOS.launch()

serve(
  async (orderId, order) => {
    const handle = await DBOS.startWorkflow(checkout, { workflowID: orderId })(order)
    return handle.getResult()
  },
  () => DBOS.shutdown(),
)
