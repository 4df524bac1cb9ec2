import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** The program of this name in one of these folders or in PATH, in this order. */
export function findProgram(name: string, first: readonly string[] = []): string | undefined {
  const folders = [...first, ...(process.env.PATH ?? '').split(delimiter)].filter(Boolean)
  return folders.map((folder) => join(folder, name)).find(isProgram)
}

export function isProgramHere(name: string): boolean {
  return findProgram(name) !== undefined
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
