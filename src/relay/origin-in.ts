import { plainText } from '../core/codec/headers.ts'
import { type Origin, originNames, originOf } from '../core/origin.ts'
import type { Headers } from '../transports/transport.ts'

const named = Object.values(originNames).map((name) => [name, `ce-${name}`] as const)
const nowhere = originOf({})

/** Where a message says that its event has been. Never throws. */
export function originIn(headers: Headers): Origin {
  if (named.every(([, header]) => headers[header] === undefined)) return nowhere
  const found = named.flatMap(([name, header]) => {
    const value = headers[header]
    return value === undefined ? [] : [[name, plainText(value)] as const]
  })
  return originOf(Object.fromEntries(found))
}
