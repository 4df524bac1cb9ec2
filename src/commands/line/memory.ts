import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

const startedMs = 5_000

/**
 * Gives back what the start of a long-running command took. V8 keeps the room for young objects that loading and connecting made
 * it grow, 12 of an idle bridge's 97 MB, until it collects everything once; an idle process never would.
 */
export function releaseAfterStart(): void {
  const release = () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    collect()
  }
  setTimeout(release, startedMs).unref()
}
