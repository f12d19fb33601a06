import { describe, expect, it } from 'vitest'
import { parseOptions } from './options.ts'

describe('the command line of the simulation', () => {
  it('has defaults', () => {
    expect(parseOptions([])).toEqual({ seeds: 200, from: 0, json: false, trace: false, plant: undefined })
  })

  it('takes seeds and a fault to plant', () => {
    const options = { seeds: 3, from: 40, json: true, trace: false, plant: 'no-sync' }
    expect(parseOptions(['--seeds', '3', '--from', '40', '--json', '--plant', 'no-sync'])).toEqual(options)
  })

  it('says what it takes when it is asked', () => {
    expect(parseOptions(['--help'])).toEqual({ help: expect.stringContaining('--seeds N') })
  })

  it.each([
    ['--seeds', '0'],
    ['--from', '-1'],
    ['--seeds', '1.5'],
    ['--seeds', ''],
    ['--plant', 'nothing'],
    ['--sedes', '3'],
  ])('refuses %s %s, and says what it takes', (option, value) => {
    const { problem } = parseOptions([`${option}=${value}`]) as { problem: string }
    expect(problem).toContain('npm run simulate -- [options]')
  })
})
