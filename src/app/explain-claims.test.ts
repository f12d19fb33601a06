import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { type TestCase, testCasesIn } from '../../scripts/test-cases.ts'
import { conformanceCases } from '../engine/conformance/index.ts'
import { conformance } from './claim.test-support.ts'
import { deliveryClaims } from './delivery-claims.test-support.ts'
import { claimsOfAll } from './explained-app.test-support.ts'
import { handlingClaims } from './handling-claims.test-support.ts'

const claims = [...deliveryClaims, ...handlingClaims]

/** The cases of a file, or of all that each engine is asked that declares what they are about. */
function casesOf(file: string): readonly TestCase[] {
  if (file === conformance) {
    return conformanceCases.map(({ name }) => ({ title: name, rows: new Set(), skippedBy: null }))
  }
  const place = new URL(`../../${file}`, import.meta.url)
  const text = readFileSync(place, 'utf8')
  const supports = [...text.matchAll(/from '(\.\/[^']+\.test-support\.ts)'/g)].map(([, path]) => path as string)
  return testCasesIn(
    text,
    supports.map((path) => readFileSync(new URL(path, place), 'utf8')),
  )
}

describe('what explain claims', () => {
  const said = claimsOfAll()

  it.each([...said.keys()])('has a case that would break it: %s', (claim) => {
    expect(claims.filter(({ says }) => says.test(claim))).toHaveLength(1)
  })

  it.each(claims)('is said of whom it holds: $says', ({ says, of, brokenBy }) => {
    const found = [...said].flatMap(([claim, handlers]) => (says.test(claim) ? [...handlers] : []))
    expect([...new Set(found)].toSorted()).toEqual([...of].toSorted())
    expect(brokenBy.length).toBeGreaterThan(0)
  })

  const named = new Map(claims.flatMap(({ brokenBy }) => brokenBy.map((one) => [one.join(': '), one] as const)))
  it.each([...named])('names a case that runs: %s', (_name, [file, title, row]) => {
    const found = casesOf(file).filter((one) => one.title === title && (row === undefined || one.rows.has(row)))
    expect(found.length).toBeGreaterThan(0)
    expect(found.filter(({ skippedBy }) => skippedBy !== null)).toEqual([])
  })
})
