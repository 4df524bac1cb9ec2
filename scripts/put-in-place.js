import { renameSync, rmSync } from 'node:fs'

/**
 * Makes `fresh` what stands at `place`, at once: whoever starts meanwhile finds all of the old one or all of the new one. Also beside others
 * that do the same; the last one stays.
 */
export function putInPlace(fresh, place) {
  const old = `${fresh}-old`
  for (;;) {
    try {
      renameSync(place, old)
    } catch (error) {
      if (error.code !== 'ENOENT') throw error
    }
    try {
      renameSync(fresh, place)
      break
    } catch (error) {
      // Another one was quicker.
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
      rmSync(old, { recursive: true, force: true })
    }
  }
  rmSync(old, { recursive: true, force: true })
}
