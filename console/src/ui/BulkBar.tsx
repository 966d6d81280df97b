// What can be done with all selected rows at once: asked first, done one after the other, and said
// how far it has come and what failed.

import { App, Button, Progress } from 'antd';
import { useState } from 'react';
import type { Result } from '../api/errors';
import { useTexts } from '../i18n/language';
import { useErrorWords } from './errorWords';
import { useConfirm } from './confirm';
import { partTexts } from './texts';

export interface BulkAction<T> {
  readonly key: string;
  readonly label: string;
  /** What will happen, with the count: «Delete 12 keys?» */
  readonly question: (rows: readonly T[]) => string;
  readonly canUndo?: boolean;
  readonly isDanger?: boolean;
  readonly act: (row: T) => Promise<Result<unknown>>;
  readonly onDone: () => Promise<void>;
}

interface Props<T> {
  readonly rows: readonly T[];
  readonly actions: readonly BulkAction<T>[];
  /** How a row is called in the question. */
  readonly nameOf: (row: T) => string;
  /** `left`: those that it failed for, to try again. */
  readonly onDone: (left: readonly T[]) => void;
}

const NAMED_MOST = 8;

export function BulkBar<T>({ rows, actions, nameOf, onDone }: Props<T>) {
  const t = useTexts(partTexts);
  const { message } = App.useApp();
  const wordsOf = useErrorWords();
  const confirm = useConfirm();
  const [progress, setProgress] = useState<number | null>(null);

  const run = async (action: BulkAction<T>): Promise<void> => {
    const failures: string[] = [];
    const left: T[] = [];
    setProgress(0);
    for (const [index, row] of rows.entries()) {
      const result = await action.act(row);
      if (!result.ok) {
        failures.push(wordsOf(result.error) || t.unreachable);
        left.push(row);
      }
      setProgress(index + 1);
    }
    setProgress(null);
    await action.onDone();
    const done = rows.length - failures.length;
    if (failures.length === 0) message.success(t.done(done));
    else message.error(`${t.partly(done, failures.length)} – ${[...new Set(failures)].join('; ')}`);
    onDone(left);
  };
  const ask = (action: BulkAction<T>): void => {
    const question = {
      title: action.question(rows),
      body: <Names of={rows.map(nameOf)} />,
      deed: action.label,
      canUndo: action.canUndo ?? false,
      isDanger: action.isDanger ?? false,
    };
    void confirm(question, () => Promise.resolve({ ok: true, value: null })).then((isWanted) => {
      if (isWanted) void run(action);
    });
  };
  return (
    <div className="bulk-bar" role="region" aria-label={t.selected(rows.length)}>
      <strong>{t.selected(rows.length)}</strong>
      {progress === null ? (
        actions.map((action) => (
          <Button
            key={action.key}
            danger={action.isDanger ?? false}
            onClick={() => {
              ask(action);
            }}
          >
            {action.label}
          </Button>
        ))
      ) : (
        <Progress
          percent={Math.round((progress / rows.length) * 100)}
          format={() => t.progress(progress, rows.length)}
        />
      )}
      <Button
        type="text"
        disabled={progress !== null}
        onClick={() => {
          onDone([]);
        }}
      >
        {t.clearSelection}
      </Button>
    </div>
  );
}

/** To whom it will happen: a few by name, and how many more. */
function Names({ of: names }: { readonly of: readonly string[] }) {
  const t = useTexts(partTexts);
  const more = names.length - NAMED_MOST;
  return (
    <ul className="plain-words">
      {names.slice(0, NAMED_MOST).map((name, place) => (
        <li key={place}>{name}</li>
      ))}
      {more > 0 ? <li className="muted">{t.andMore(more)}</li> : null}
    </ul>
  );
}
