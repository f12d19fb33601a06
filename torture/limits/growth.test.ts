import { describe, expect, it } from 'vitest'
import { growing, laterShare, type Sample } from './growth.ts'

const eventsOfSample = 1000
const allowance = { share: 0.1, more: 2000, eachEvent: 4 }

function namesOf(samples: readonly Sample[]): readonly string[] {
  const later = samples.length * eventsOfSample * laterShare
  return growing(samples, later, () => allowance).map(({ name }) => name)
}

function run(bytesOf: (n: number) => number, count = 80): readonly Sample[] {
  return Array.from({ length: count }, (_, n) => ({ flat: 1000, bytes: bytesOf(n) }))
}

describe('what goes on growing', () => {
  it('is found, with what it came to in both halves', () => {
    const samples = run((n) => n * eventsOfSample * 8)
    const [found] = growing(samples, 30 * eventsOfSample, () => allowance)
    expect(found).toEqual({ name: 'bytes', before: 49 * 8000, after: 79 * 8000 })
    expect(namesOf(samples)).toEqual(['bytes'])
  })

  it('is found however little it is for each event, if that is more than is allowed', () => {
    expect(namesOf(run((n) => n * eventsOfSample * 5, 800))).toEqual(['bytes'])
    expect(namesOf(run((n) => n * eventsOfSample * 3, 800))).toEqual([])
  })

  it('is found when it goes up and down, too', () => {
    expect(namesOf(run((n) => (n % 5) * 10_000 + n * eventsOfSample * 12))).toEqual(['bytes'])
    expect(namesOf(run((n) => (n % 5) * 10_000))).toEqual([])
  })

  it('is not what grew at the beginning', () => {
    expect(namesOf(run((n) => Math.min(n, 20) * 100_000))).toEqual([])
  })

  it('is found where there was nothing before', () => {
    expect(namesOf(run((n) => (n < 60 ? 0 : 1_000_000)))).toEqual(['bytes'])
  })
})
