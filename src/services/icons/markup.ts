/** Markup that an editor left open. Writing the document again mends it; trying again does not. */
export class IconMarkupError extends Error {
  constructor(position: number) {
    super(`unterminated icon markup at character ${position}`)
    this.name = 'IconMarkupError'
  }
}

/**
 * How often each icon is used: `:name:` and `<icon name="name">`. Names are lower-case words with dashes. Throws
 * IconMarkupError when a tag is opened and never closed.
 */
export function extractIcons(content: string): ReadonlyMap<string, number> {
  const uses = new Map<string, number>()
  for (const match of content.matchAll(markup)) {
    const name = match[1] ?? match[2]
    if (name === undefined) throw new IconMarkupError(match.index + 1)
    uses.set(name, (uses.get(name) ?? 0) + 1)
  }
  return uses
}

const name = '([a-z][a-z0-9]*(?:-[a-z0-9]+)*)'
const markup = new RegExp(`:${name}:|<icon name="${name}"\\s*/?>|<icon name="[^">]*$`, 'g')
