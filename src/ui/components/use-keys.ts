import { type Key as InkKey, useInput } from 'ink'
import type { Key } from '../state/keymap.ts'
import type { Action } from '../state/update.ts'

const named: readonly [keyof InkKey, string][] = [
  ['escape', 'escape'],
  ['return', 'enter'],
  ['backspace', 'backspace'],
  ['delete', 'backspace'],
  ['upArrow', 'up'],
  ['downArrow', 'down'],
  ['pageUp', 'pageup'],
  ['pageDown', 'pagedown'],
  ['home', 'home'],
  ['end', 'end'],
]

/** Keys that came together with others, as one chunk of text: a paste, or a slow line. */
const inText: Readonly<Record<string, string>> = {
  '\r': 'enter',
  '\n': 'enter',
  '\t': 'tab',
  '\u007f': 'backspace',
  '\u001b': 'escape',
}

/** What Ink reports as the keys of our keymap. */
export function keysOf(input: string, key: InkKey): readonly Key[] {
  if (key.tab) return [{ name: key.shift ? 'shift-tab' : 'tab', ctrl: false }]
  const special = named.find(([flag]) => key[flag])
  if (special) return [{ name: special[1], ctrl: false }]
  return [...input].map((character) => keyOf(character, key.ctrl))
}

/** Control characters are letters, 64 code points away. */
function keyOf(character: string, ctrl: boolean): Key {
  const name = inText[character]
  if (name !== undefined) return { name, ctrl }
  const code = character.charCodeAt(0)
  return code < 0x20 ? { name: String.fromCharCode(code + 0x60), ctrl: true } : { name: character, ctrl }
}

export function useKeys(dispatch: (action: Action) => void): void {
  useInput((input, inkKey) => {
    for (const key of keysOf(input, inkKey)) dispatch({ type: 'key', key })
  })
}
