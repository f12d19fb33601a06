import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { OptionsInvalidError } from '../../src/kernel/index.ts'
import { parseOptions } from './options.ts'

const cwd = import.meta.dirname

function problemsOf(...args: string[]): string[] {
  try {
    parseOptions(args, cwd)
  } catch (error) {
    if (error instanceof OptionsInvalidError) {
      return error.details.problems.map(({ option, problem }) => `${option} ${problem}`)
    }
    throw error
  }
  return []
}

describe('the command line of the shop', () => {
  it('needs nothing', () => {
    expect(parseOptions([], cwd)).toEqual({
      help: false,
      once: false,
      json: false,
      orders: join(cwd, 'data', 'online-retail.csv'),
      afresh: false,
      data: join(cwd, '.data', 'shop'),
      stock: null,
      decline: 0,
      flaky: 0,
      repeat: 1,
      speed: 10,
      deployment: 'embedded',
      saga: 'choreography',
      workers: 1,
    })
  })

  it('runs as fast as it can, in a folder of its own, with --once', () => {
    expect(parseOptions(['--once'], cwd)).toMatchObject({ once: true, speed: null, data: null })
    expect(parseOptions(['--once', '--data', 'x', '--speed=2.5'], cwd)).toMatchObject({
      speed: 2.5,
      data: join(cwd, 'x'),
    })
  })

  it('takes all options, with a blank or =', () => {
    const args = [
      '--once',
      '--json',
      '--orders',
      'money.ts',
      '--stock=0',
      '--decline',
      '0.2',
      '--flaky=1',
      '--repeat',
      '3',
    ]
    expect(parseOptions(args, cwd)).toMatchObject({
      json: true,
      orders: join(cwd, 'money.ts'),
      stock: 0,
      decline: 0.2,
      flaky: 1,
      repeat: 3,
    })
  })

  it('takes several workers only where no file is part of the ground', () => {
    expect(parseOptions(['--deployment', 'postgres', '--workers', '3'], cwd)).toMatchObject({ workers: 3 })
    expect(problemsOf('--workers', '2')).toEqual([
      '--workers is 2, but embedded keeps things in a file, which belongs to one process',
    ])
    expect(problemsOf('--workers', '0')).toEqual(['--workers is "0", not a whole number from 1 to 64'])
  })

  it('takes a deployment by its name only', () => {
    expect(parseOptions(['--deployment', 'embedded+postgres'], cwd)).toMatchObject({ deployment: 'embedded+postgres' })
    expect(problemsOf('--deployment', 'oracle')).toEqual([
      '--deployment is "oracle", not embedded, postgres, kafka, embedded+postgres, kafka+embedded, kafka+postgres',
    ])
  })

  it('names everything that is wrong at once', () => {
    const args = '--stock many --decline 1.5 --flaky=-1 --repeat 0 --speed 0 --colour --once=yes extra --data='
    expect(problemsOf(...args.split(' '), '--orders', 'missing.csv')).toEqual([
      '--colour is unknown',
      '--once takes no value',
      '"extra" is no option',
      '--data needs a value',
      '--stock is "many", not a whole number from 0 to 1,000,000,000',
      '--decline is "1.5", not a share from 0 to 1',
      '--flaky is "-1", not a share from 0 to 1',
      '--repeat is "0", not a whole number from 1 to 1,000,000',
      '--speed is "0", not a number above 0, at most 1,000,000',
      `--orders names ${JSON.stringify(join(cwd, 'missing.csv'))}, which is not there`,
    ])
  })

  it.each([
    [['--stock', '1.5'], '--stock is "1.5", not a whole number from 0 to 1,000,000,000'],
    [['--stock', '1e3'], '--stock is "1e3", not a whole number from 0 to 1,000,000,000'],
    [['--decline', 'NaN'], '--decline is "NaN", not a share from 0 to 1'],
    [['--repeat', '2', '--repeat', '3'], '--repeat is given twice'],
    [['--decline', '1.1'], '--decline is "1.1", not a share from 0 to 1'],
    [['--decline', '-0'], '--decline is "-0", not a share from 0 to 1'],
    [['--decline', 'abc'], '--decline is "abc", not a share from 0 to 1'],
    [['--decline', '.'], '--decline is ".", not a share from 0 to 1'],
    [['--decline', ''], '--decline needs a value'],
    [['--repeat', '.5'], '--repeat is ".5", not a whole number from 1 to 1,000,000'],
    [['--speed', '1e3'], '--speed is "1e3", not a number above 0, at most 1,000,000'],
    [['--orders', '.'], `--orders names ${JSON.stringify(cwd)}, which is a folder`],
    [['--orders', '/dev/null'], '--orders names "/dev/null", which is no file that can be read twice, as it has to be'],
    [['--orders', 'money.ts/x'], `--orders names ${JSON.stringify(join(cwd, 'money.ts/x'))}, which is not there`],
    [['--stock', '--decline', '0.2'], '--stock needs a value'],
    [['--orders', '--once'], '--orders needs a value'],
    [['--saga', 'chaos'], '--saga is "chaos", not choreography, orchestration'],
    [['--deployment', 'oracle', '--workers', '2'], expect.stringContaining('--deployment is "oracle"')],
    [['-x'], '-x is unknown'],
    [['--stock'], '--stock needs a value'],
  ])('refuses %j', (args, problem) => {
    expect(problemsOf(...args)).toEqual([problem])
  })

  it.each([
    ['.5', 0.5],
    ['0.5', 0.5],
    ['1', 1],
    ['1.0', 1],
    ['0', 0],
    ['0.0', 0],
  ])('takes %s for a share', (text, share) => {
    expect(parseOptions(['--decline', text, `--flaky=${text}`], cwd)).toMatchObject({ decline: share, flaky: share })
  })

  it('reads on behind an option without its value', () => {
    expect(problemsOf('--stock', '--decline', '2', '--repeat', '--json', '--speed')).toEqual([
      '--stock needs a value',
      '--repeat needs a value',
      '--speed needs a value',
      '--decline is "2", not a share from 0 to 1',
    ])
  })

  it('helps whatever else is wrong', () => {
    expect(parseOptions(['-h', 'x'], cwd).help).toBe(true)
    expect(parseOptions(['--help', '--colour'], cwd).help).toBe(true)
  })
})
