// Sinks and sources in one line of text, as flags and variables have them.
import { EvtError } from '../core/errors.ts'
import { redactUrl } from '../core/mask.ts'

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
