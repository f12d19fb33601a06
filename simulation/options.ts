import { parseArgs } from 'node:util'
import { isPlantedFault, type PlantedFault, plantedFaults } from './faults.ts'

/** What the command line asks for. */
export interface SimulateOptions {
  readonly seeds: number
  readonly from: number
  readonly json: boolean
  readonly trace: boolean
  readonly plant: PlantedFault | undefined
}

const usage = `npm run simulate -- [options]
  --seeds N      runs so many seeds; default 200
  --from S       the first of them; default 0
  --json         prints one JSON object and nothing else
  --help         prints this
  --trace        prints every line of the trace
  --plant FAULT  plants a bug, to see that it is found:
${Object.entries(plantedFaults)
  .map(([name, what]) => `                 ${name.padEnd(21)} ${what}`)
  .join('\n')}`

/** Options of the command line, or what to print in their place. */
export function parseOptions(
  args: readonly string[],
): SimulateOptions | { readonly problem: string } | { readonly help: string } {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        seeds: { type: 'string', default: '200' },
        from: { type: 'string', default: '0' },
        json: { type: 'boolean', default: false },
        trace: { type: 'boolean', default: false },
        plant: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    })
    const { json, trace, plant } = values
    if (values.help) return { help: usage }
    const seeds = wholeNumber('seeds', values.seeds, 1)
    const from = wholeNumber('from', values.from, 0)
    if (plant !== undefined && !isPlantedFault(plant)) return { problem: `There is no fault ${plant}.\n${usage}` }
    return { seeds, from, json, trace, plant }
  } catch (error) {
    return { problem: `${(error as Error).message}\n${usage}` }
  }
}

function wholeNumber(option: string, text: string, min: number): number {
  const value = Number(text)
  if (text !== '' && Number.isSafeInteger(value) && value >= min) return value
  throw new RangeError(`--${option} is ${text}, not a whole number from ${min}.`)
}
