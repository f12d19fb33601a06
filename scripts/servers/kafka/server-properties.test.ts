import { describe, expect, it } from 'vitest'
import { kindOf } from '../kinds.ts'
import type { NodePlace } from '../server-kind.ts'
import { placeOf, resolveServersRoot } from '../server-place.ts'
import { propertiesText, serverSettings } from './server-properties.ts'

const settingsOf = (nodeCount: number, number: number): Record<string, string> => {
  const root = resolveServersRoot({ folder: 'scratch', portBase: 20_000 }, {})
  const place = placeOf(root, kindOf('kafka'), nodeCount)
  const node = place.nodes[number - 1]
  if (node === undefined) throw new Error(`There is no node ${number}.`)
  return serverSettings(place, node)
}

describe('the settings of a Kafka node', () => {
  it('let it listen on loopback only, on ports of its own', () => {
    for (const number of [1, 2, 3]) {
      const listeners = (settingsOf(3, number)['listeners'] ?? '').split(',')
      const base = 20_000 + 10 * (number - 1)
      expect(listeners).toEqual([
        `PLAINTEXT://127.0.0.1:${base}`,
        `SASL_PLAINTEXT://127.0.0.1:${base + 1}`,
        `SASL_SSL://127.0.0.1:${base + 2}`,
        `SSL://127.0.0.1:${base + 3}`,
        `PROXIED://127.0.0.1:${base + 4}`,
        `CONTROLLER://127.0.0.1:${base + 9}`,
      ])
    }
  })

  it('send who comes through a proxy to the proxy again, and all others to where they came', () => {
    const advertised = (settingsOf(3, 2)['advertised.listeners'] ?? '').split(',')
    expect(advertised.map((one) => one.replace('://127.0.0.1', ''))).toEqual([
      'PLAINTEXT:20010',
      'SASL_PLAINTEXT:20011',
      'SASL_SSL:20012',
      'SSL:20013',
      'PROXIED:20015',
    ])
  })

  it('are those that a test asks for, before our own', () => {
    const root = resolveServersRoot({ folder: 'scratch', portBase: 20_000 }, {})
    const place = placeOf(root, kindOf('kafka'), 1)
    const asked = { 'min.insync.replicas': '1', 'log.cleaner.backoff.ms': '7' }
    expect(serverSettings({ ...place, settings: asked }, place.nodes[0] as NodePlace)).toMatchObject(asked)
  })

  it('name the same voters on every node', () => {
    const voters = '1@127.0.0.1:20009,2@127.0.0.1:20019,3@127.0.0.1:20029'
    expect([1, 2, 3].map((number) => settingsOf(3, number)['controller.quorum.voters'])).toEqual([
      voters,
      voters,
      voters,
    ])
  })

  it.each([
    [1, '1', '1'],
    [2, '2', '1'],
    [3, '3', '2'],
    [5, '3', '2'],
  ])('of %i: %s replicas, of which %s must be in step', (nodeCount, replicas, inSyncMin) => {
    const settings = settingsOf(nodeCount, 1)
    for (const topic of ['offsets.topic', 'transaction.state.log', 'share.coordinator.state.topic'])
      expect([topic, settings[`${topic}.replication.factor`]]).toEqual([topic, replicas])
    expect(settings['default.replication.factor']).toBe(replicas)
    expect(settings['min.insync.replicas']).toBe(inSyncMin)
    expect(settings['transaction.state.log.min.isr']).toBe(inSyncMin)
  })

  it('are written as Java reads properties', () => {
    expect(propertiesText({ a: 'b', path: 'c:\\d' })).toBe('a=b\npath=c:\\\\d\n')
  })
})
