import { hash } from 'node:crypto'
import { EvtError } from './errors.ts'
import type { SealingKey } from './sealing.ts'

/** The keys that wrap the keys of subjects. */
export interface MasterKeys {
  /** New keys are wrapped with this one. */
  readonly current: SealingKey
  get(id: string): SealingKey | undefined
}

const keyBytes = 32
const base64 = /^[A-Za-z0-9+/_-]{43}=?$/

/**
 * One or more keys, each 32 bytes in base64, separated by spaces, commas or lines: the first is the current one, the others only
 * open what was wrapped before. A key's id is the start of its SHA-256. Throws EvtError('config') that never shows a key.
 *
 * @param origin for the message: `EVT_MASTER_KEY`
 */
export function parseMasterKeys(text: string, origin: string): MasterKeys {
  const keys = text.split(/[\s,]+/).flatMap((one, at): SealingKey[] => {
    if (one === '') return []
    const bytes = Buffer.from(one, 'base64')
    if (base64.test(one) && bytes.length === keyBytes) return [{ id: hash('sha256', bytes, 'hex').slice(0, 12), bytes }]
    throw new EvtError('config', `cannot use ${origin}: key ${at + 1} is not ${keyBytes} bytes in base64`, {
      hint: makeOne,
    })
  })
  const [current] = keys
  if (!current) throw new EvtError('config', `cannot use ${origin}: it holds no key`, { hint: makeOne })
  const byId = new Map(keys.map((key) => [key.id, key]))
  return { current, get: (id) => byId.get(id) }
}

const makeOne = 'make one with: openssl rand -base64 32'
