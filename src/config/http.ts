import { EvtError } from '../core/errors.ts'
import type { HttpOptions } from '../core/http-options.ts'

/** `8080`, `host:8080`, `[::1]:8080`; undefined for `off`. */
export function parseHttpAddress(text: string): HttpOptions | undefined {
  if (text === 'off') return undefined
  const [, ip6, name, digits = ''] = /^(?:(?:\[([0-9a-f:.]+)\]|([^:[\]\s/]+)):)?(\d{1,5})$/i.exec(text) ?? []
  const port = Number(digits)
  if (digits === '' || port > 65_535)
    throw new EvtError('usage', `cannot read '${text}': it is no port and no host:port`, {
      hint: 'write 8080, 0.0.0.0:8080 or [::1]:8080; or off',
    })
  const host = ip6 ?? name
  return { port, ...(host === undefined ? {} : { host }) }
}

export const shownHttpAddress = (http: HttpOptions | undefined): string => {
  if (http === undefined) return ''
  const { host = '127.0.0.1', port = 8080 } = http
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}
