/** What a pool keeps beside its datasets: its own properties that somebody has set, and the commands that changed it (zpool history; module/zfs/spa_history.c). */

/** A command and those before it: the list is shared by all who keep an older one. */
interface NotedCommand {
  readonly line: string;
  /** Seconds since 1970. */
  readonly second: number;
  readonly before: NotedCommand | undefined;
}

/** Never changed: a pool has others then. */
export interface PoolNotes {
  readonly settings: readonly (readonly [property: string, value: string])[];
  readonly commands: NotedCommand | undefined;
}

export const NO_NOTES: PoolNotes = { settings: [], commands: undefined };

export function withCommand(notes: PoolNotes, line: string, second: number): PoolNotes {
  return { ...notes, commands: { line, second, before: notes.commands } };
}

export function withSetting({ settings, commands }: PoolNotes, property: string, value: string): PoolNotes {
  return { commands, settings: [...settings.filter(([name]) => name !== property), [property, value]] };
}

/** Commands, the first first. */
export function commandsOf(notes: PoolNotes): NotedCommand[] {
  const found: NotedCommand[] = [];
  for (let at = notes.commands; at !== undefined; at = at.before) found.push(at);
  return found.reverse();
}
