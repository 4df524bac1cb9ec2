import { readFileSync } from 'node:fs'
import { EvtError } from '../core/errors.ts'

/** Realistic words by kind, drawn from faker once by `scripts/draw-pools.ts`. */
export type Pools = Readonly<Record<PoolName, readonly string[]>>

const poolNames = [
  'firstName',
  'lastName',
  'domain',
  'company',
  'country',
  'city',
  'street',
  'timezone',
  'locale',
  'phone',
  'userAgent',
  'title',
  'sentence',
  'content',
  'word',
  'icon',
  'service',
  'operation',
  'reason',
  'settingKey',
] as const
export type PoolName = (typeof poolNames)[number]

let loaded: Pools | undefined

/** Reads the fixture once a process. Throws EvtError('internal') when the package lacks it. */
export function loadPools(): Pools {
  loaded ??= readPools(new URL('../../fixtures/pools.json', import.meta.url))
  return loaded
}

function readPools(url: URL): Pools {
  const { pools } = JSON.parse(readFileSync(url, 'utf8')) as { pools: Partial<Pools> }
  for (const name of poolNames) {
    if (!pools[name]?.length) throw new EvtError('internal', `cannot generate: fixtures/pools.json has no pool ${name}`)
  }
  return pools as Pools
}
