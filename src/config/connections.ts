// Sinks, sources and buses as a person writes them: shapes only. What they mean is decided where they run.
import { EvtError } from '../core/errors.ts'
import type { Layout } from '../core/layout.ts'
import { redactUrl } from '../core/mask.ts'

/** Where the relay carries the log to. */
export interface SinkSettings {
  /** Names it in the store: its position, its dead letters, `consume`. */
  readonly name: string
  readonly url: string
  readonly topic?: string | undefined
  readonly prefix?: string | undefined
  readonly layout?: Layout | undefined
  readonly lanes?: number | undefined
  readonly patterns?: readonly string[] | undefined
  readonly dialect?: string | undefined
  /** Where a sink that never existed starts. */
  readonly start?: 'earliest' | 'latest' | undefined
}

/** Foreign traffic that is brought into the store. */
export interface SourceSettings {
  readonly name: string
  readonly url: string
  /** Default: what the URL names. */
  readonly topic?: string | readonly string[] | undefined
  readonly group?: string | undefined
  readonly patterns?: readonly string[] | undefined
  readonly dialect?: string | undefined
  readonly start?: 'earliest' | 'latest' | undefined
}

/** `name=url`, separated by white space; a URL alone is named after its scheme. */
export function parseNamedUrls(text: string): readonly { readonly name: string; readonly url: string }[] {
  return text.split(/\s+/).filter(Boolean).map(parseNamedUrl)
}

export function parseNamedUrl(text: string): { readonly name: string; readonly url: string } {
  const [, named, url = ''] = /^(?:([a-z0-9][\w.-]*)=)?(.*)$/is.exec(text) ?? []
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(url)?.[1]?.toLowerCase()
  if (scheme === undefined)
    throw new EvtError('usage', `cannot read '${redactUrl(text)}': it is no URL`, {
      hint: 'write it as redis://host:6379/0, or with a name before it: cache=redis://host:6379/0',
    })
  return { name: named ?? scheme, url }
}

export const shownConnections = (all: readonly { readonly name: string; readonly url: string }[]): string =>
  all.map(({ name, url }) => `${name}=${redactUrl(url)}`).join(' ')
