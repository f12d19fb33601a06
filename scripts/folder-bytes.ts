import { lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

/** Bytes of all files in a folder, as long as they are, not as the disk rounds them up. Links count as links. */
export function folderBytes(folder: string, isLeftOut: (path: string) => boolean = () => false): number {
  let bytes = 0
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (isLeftOut(path)) continue
    bytes += entry.isDirectory() ? folderBytes(path, isLeftOut) : lstatSync(path).size
  }
  return bytes
}
