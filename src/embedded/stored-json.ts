import type { Json } from '../kernel/index.ts'
import { FileDamagedError } from './errors.ts'

/**
 * Reads what stands in the file as JSON.
 * @param place Names it in the error.
 * @throws FileDamagedError where it is none
 */
export function storedJson(path: string, text: string, place: () => string): Json {
  try {
    return JSON.parse(text) as Json
  } catch (cause) {
    throw new FileDamagedError(path, `${place()}, which is no JSON`, { cause })
  }
}
