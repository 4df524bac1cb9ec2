import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { expect } from 'vitest'
import { EvtError } from '../../src/core/errors.ts'

const asked = process.env.EVT_TEST_FUZZ
/** Of each decoder. The long form, with other cases each time: `EVT_TEST_FUZZ=84000 vitest run decoders`, a million in all. */
const cases = Number(asked ?? 200)
const settings = { numRuns: cases, ...(asked === undefined ? { seed: 57 } : {}) }
export const withinMs = 30_000 + cases * 5

export const holds = <T>(property: fc.IRawProperty<T>) => fc.assert(property as fc.IProperty<T>, settings)

/** Vitest's own equality stumbles over data with a key named constructor. */
export const same = (got: unknown, wanted: unknown) =>
  expect(isDeepStrictEqual(got, wanted) ? 'same' : { got, wanted }).toBe('same')

type Change = readonly ['set' | 'cut' | 'double' | 'add', number, number]

/** What a wire, a disk or a person does to bytes. */
export const damage: fc.Arbitrary<readonly Change[]> = fc.array(
  fc.tuple(fc.constantFrom('set', 'cut', 'double', 'add'), fc.nat(), fc.nat(255)),
  { minLength: 1, maxLength: 4 },
)

export function damaged(bytes: Uint8Array, changes: readonly Change[]): Buffer {
  let whole: Buffer = Buffer.from(bytes)
  for (const [kind, where, byte] of changes) {
    const at = where % (whole.length + 1)
    if (kind === 'set' && at < whole.length) whole[at] = byte
    if (kind === 'cut') whole = whole.subarray(0, at)
    if (kind === 'double') whole = Buffer.concat([whole.subarray(0, at), whole.subarray(at >> 1)])
    if (kind === 'add') whole = Buffer.concat([whole.subarray(0, at), Buffer.of(byte), whole.subarray(at)])
  }
  return whole
}

/** Undefined where it throws what it may. */
export function allows<T>(call: () => T, isMeant: (thrown: unknown) => boolean): T | undefined {
  try {
    return call()
  } catch (thrown) {
    if (isMeant(thrown)) return undefined
    throw thrown
  }
}

export const isCode = (code: string) => (thrown: unknown) => thrown instanceof EvtError && thrown.code === code
