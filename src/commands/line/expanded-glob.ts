import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { explainExpandedGlob } from '../../core/pattern.ts'
import type { Runtime } from '../runtime.ts'
import { loadRegistry } from './services.ts'

/** Throws EvtError('usage'), showing the quotes, when these are the files into which the shell has turned `user.*`. */
export async function refuseExpandedGlob(words: readonly string[], command: string, runtime: Runtime): Promise<void> {
  const globbed =
    explainExpandedGlob(words, command) ??
    // `user.a` may be a type as well: what lies here under all of these names, and has no contract, is what the shell saw.
    ((await areFiles(words, runtime)) ? explainExpandedGlob(words, command, () => true) : undefined)
  if (globbed) throw globbed
}

async function areFiles(words: readonly string[], runtime: Runtime): Promise<boolean> {
  if (words.length === 0 || !words.every((word) => existsSync(join(runtime.cwd, word)))) return false
  const types = (await loadRegistry(runtime)).types()
  return !words.some((word) => types.includes(word))
}
