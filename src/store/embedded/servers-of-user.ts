import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** One small file for each project whose server this user started: it holds the project's path. */
export const defaultServersDirectory = (): string => join(homedir(), '.cache', 'evt', 'postgres')

/** A convenience (commands outside of the project find the server): failing to write it fails nothing. */
export function rememberServer(directory: string, key: string, project: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    writeFileSync(join(directory, key), project, { mode: 0o600 })
  } catch {
    // A read-only home directory: commands then find the server from inside of the project only.
  }
}

export function forgetServer(directory: string, key: string): void {
  rmSync(join(directory, key), { force: true })
}

/** The projects whose servers were started and not stopped in order; some may have died since. */
export function rememberedProjects(directory: string): readonly string[] {
  try {
    return readdirSync(directory).map((key) => readFileSync(join(directory, key), 'utf8'))
  } catch {
    // Nothing was ever remembered, or a server was forgotten while we looked.
    return []
  }
}
