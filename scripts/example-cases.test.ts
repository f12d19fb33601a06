import { describe, expect, it } from 'vitest'
import { codeOf, faultOf, importsOf, programOf } from './example-cases.ts'

describe('the code of a Markdown text', () => {
  it('is that of all its TypeScript blocks, with what the page does not show', () => {
    const text = [
      '<!-- ts',
      'const a = 1',
      '-->',
      'So:',
      '```ts',
      'a + 1',
      '```',
      '',
      '```sh',
      'ls',
      '```',
      '<!-- else',
      '-->',
    ]
    expect(codeOf(text.join('\n'))).toBe('const a = 1\n\na + 1\n')
    expect(codeOf('# A')).toBe('')
  })

  it('leaves out programs that say what they print', () => {
    const text = ['```ts', 'a', '```', '', '```ts', 'program', '```', '', '```text', '1', '```', '```ts', 'b', '```']
    expect(codeOf(text.join('\n'))).toBe('a\n\nb\n')
  })
})

describe('the program of a Markdown text', () => {
  const program = "import { z } from 'zod'\n\nconsole.log(1)\n"
  const text = [
    '# A',
    '',
    '```sh',
    'npm install',
    '```',
    '',
    '```ts',
    `${program}\`\`\``,
    '',
    'It prints:',
    '',
    '```text',
    '1',
    '```',
    '',
    'End.',
  ]

  it('is the block with the imports, with the output that stands after it', () => {
    expect(programOf(text.join('\n'))).toEqual({ code: program, output: '1\n' })
  })

  it('is missing if there is no block, no import or no output', () => {
    expect(programOf('# A')).toBeUndefined()
    expect(programOf(text.join('\n').replace(/import .*\n/, ''))).toBeUndefined()
    expect(programOf(text.join('\n').replace('```text', '```sh'))).toBeUndefined()
  })

  it('names the packages it needs', () => {
    const code =
      "import {\n  event,\n} from 'millrace/message'\nimport fs from 'node:fs'\nimport '@a/b/c'\nimport { x } from './x.ts'\n"
    expect(importsOf(code)).toEqual(['millrace', '@a/b'])
  })
})

describe('an example is refused', () => {
  const good = { exitCode: 0, stdout: '{"orders":2,"seconds":0.3}\n', stderr: '' }
  const step = { command: ['node', 'main.ts'], stdoutJson: { orders: 2 }, ignore: ['seconds'] }

  it('not, when it prints what its description says', () => {
    expect(faultOf(step, good)).toBeUndefined()
    const lines = { command: ['x'], stdoutLines: ['took N ms'], replace: [['\\d+ ms', 'N ms']] as const }
    expect(faultOf(lines, { ...good, stdout: 'took 31 ms\n' })).toBeUndefined()
  })

  it.each([
    ['ends otherwise', step, { ...good, exitCode: 1 }, /ended with 1/],
    ['prints another value', step, { ...good, stdout: '{"orders":3,"seconds":1}' }, /"orders": 3/],
    ['prints a field more', step, { ...good, stdout: '{"orders":2,"x":1,"seconds":1}' }, /"x": 1/],
    ['lacks a field that may vary', step, { ...good, stdout: '{"orders":2}' }, /lacks: seconds/],
    ['prints no JSON', step, { ...good, stdout: 'orders: 2' }, /no JSON object/],
    ['prints another text', { command: ['x'], stdoutLines: ['a'] }, { ...good, stdout: 'b' }, /It printed:\nb/],
    ['describes nothing', { command: ['x'] }, good, /says nothing about its output/],
  ])('when it %s', (_, description, outcome, fault) => {
    expect(faultOf(description, outcome)).toMatch(fault)
  })
})
