// Restate: a handler of two steps, registered with a server of its own on loopback, called through its ingress.
// node restate.mjs <folder> <port of the ingress> <of the admin API> <of the node> <of the handler>
import { spawn } from 'node:child_process'
import { Agent, request } from 'node:http'
import { createServer } from 'node:http2'
import { createRequire } from 'node:module'
import { arch, platform } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { createEndpointHandler, service } from '@restatedev/restate-sdk'
import { serve } from './load.mjs'

const [folder, ingressPort, adminPort, nodePort, handlerPort] = process.argv.slice(2)
const loopback = '127.0.0.1'

const checkout = service({
  name: 'checkout',
  handlers: {
    run: async (ctx, { orderId, total }) => {
      const { reservation } = await ctx.run('reserve', () => ({ reservation: `r-${orderId}` }))
      const { receipt } = await ctx.run('charge', () => ({ receipt: `c-${total}` }))
      return { reservation, receipt }
    },
  },
})
createServer(createEndpointHandler({ services: [checkout] })).listen(Number(handlerPort), loopback)

const binaries = createRequire(import.meta.url).resolve(
  `@restatedev/restate-server-${platform()}-${arch()}/package.json`,
)
const server = spawn(join(dirname(binaries), 'bin', 'restate-server'), ['--no-logo'], {
  stdio: ['ignore', 'ignore', 'inherit'],
  env: {
    ...process.env,
    RESTATE_BASE_DIR: folder,
    RESTATE_LISTEN_MODE: 'tcp',
    RESTATE_BIND_IP: loopback,
    RESTATE_BIND_PORT: nodePort,
    RESTATE_INGRESS__BIND_PORT: ingressPort,
    RESTATE_ADMIN__BIND_PORT: adminPort,
    // On two cores 4 partitions were half as fast again as its 24; its log is synced before anything is acknowledged, which is its default.
    RESTATE_DEFAULT_NUM_PARTITIONS: '4',
    RESTATE_DISABLE_TELEMETRY: 'true',
    DO_NOT_TRACK: '1',
    RESTATE_LOG_FILTER: 'off',
  },
})
process.on('exit', () => server.kill('SIGKILL'))

await registered(`http://${loopback}:${adminPort}/deployments`, { uri: `http://${loopback}:${handlerPort}` })
const agent = new Agent({ keepAlive: true })

serve(call, () => {
  const exited = new Promise((resolve) => {
    server.once('exit', resolve)
  })
  server.kill('SIGTERM')
  return Promise.race([exited, pause(5000)])
})

/** Registers the handler once the server is there. */
async function registered(url, deployment) {
  for (let looks = 0; ; looks++) {
    try {
      const body = JSON.stringify(deployment)
      const { ok } = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
      if (ok) return
    } catch (error) {
      if (looks > 150 || server.exitCode !== null) throw error
    }
    if (looks > 150) throw new Error('Restate takes no deployment')
    await pause(200)
  }
}

function call(_orderId, order) {
  const options = { agent, host: loopback, port: ingressPort, path: '/checkout/run', method: 'POST' }
  return new Promise((resolve, reject) => {
    const sent = request({ ...options, headers: { 'content-type': 'application/json' } }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk) => {
        text += chunk
      })
      response.on('end', () => {
        if (response.statusCode === 200) resolve(JSON.parse(text))
        else reject(new Error(`Restate answered ${response.statusCode}: ${text}`))
      })
    })
    sent.once('error', reject)
    sent.end(JSON.stringify(order))
  })
}
