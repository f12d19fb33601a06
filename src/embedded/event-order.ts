import { FileDamagedError } from './errors.ts'

/**
 * Rows of a page that was damaged may come in any order, and who went on from the last of them would never come to an end.
 * @param isWhole Nothing is left out between the first and the last.
 */
export function refuseDisorder(
  places: readonly number[],
  from: number,
  isForward: boolean,
  isWhole: boolean,
  where: string,
  path: string,
): void {
  const step = isForward ? 1 : -1
  let least = from
  for (let index = 0; index < places.length; index++) {
    const place = places[index] as number
    const ahead = (place - least) * step
    if (!(ahead >= 0) || (isWhole && index > 0 && ahead > 0)) {
      throw new FileDamagedError(path, `${where}: ${place} does not follow ${least - step}`)
    }
    least = place + step
  }
}
