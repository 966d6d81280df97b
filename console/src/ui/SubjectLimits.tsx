// What all keys of a user or a team may use together: shown to who may look, changed by who may.

import { App, Modal } from 'antd';
import { useEffect, useState } from 'react';
import { api, type Schemas } from '../api/client';
import type { Result } from '../api/errors';
import { useMay } from '../auth/session';
import { useTexts } from '../i18n/language';
import { ErrorBanner } from './ErrorBanner';
import { FormDialog } from './FormDialog';
import { LimitFields, LimitWords } from './LimitFields';
import { limitOf, type LimitRow, rowOf } from './limits';
import { limitTexts } from './limitTexts';

interface Props {
  readonly path: '/api/users/{id}/limits' | '/api/teams/{id}/limits';
  /** Whose; null while the dialog is closed. */
  readonly id: string | null;
  readonly name: string;
  readonly onClose: () => void;
}

interface Found {
  readonly id: string;
  readonly result: Result<Schemas['ShownLimits']>;
}

/** Asked anew each time, and not again while one edits: what is saved replaces all there is. */
function useFound(path: Props['path'], id: string | null): Result<Schemas['ShownLimits']> | null {
  const [found, setFound] = useState<Found | null>(null);
  useEffect(() => {
    if (id === null) return;
    const stop = new AbortController();
    void api
      .get(path, { path: { id }, signal: stop.signal })
      .then((result) => {
        setFound({ id, result });
      })
      .catch(() => undefined); // given up by the line below
    return () => {
      stop.abort();
      setFound(null);
    };
  }, [path, id]);
  return found?.id === id ? found.result : null;
}

export function SubjectLimits({ path, id, name, onClose }: Props) {
  const t = useTexts(limitTexts);
  const { message } = App.useApp();
  const mayChange = useMay('operate');
  const found = useFound(path, id);
  const rows = found?.ok ? found.value.limits.map(rowOf) : [];
  const error = found?.ok === false ? found.error : null;
  const isOpen = id !== null && found !== null;
  const save = async (limits: readonly LimitRow[]): Promise<Result<unknown>> => {
    if (error) return { ok: false, error }; // unknown limits must not be overwritten
    const body = { limits: limits.map(limitOf) };
    const result = await api.put(path, { path: { id: id ?? '' }, body });
    if (result.ok) message.success(t.saved);
    return result;
  };
  if (!mayChange) {
    return (
      <Modal title={t.limitsOf(name)} open={isOpen} footer={null} onCancel={onClose}>
        <p className="muted">{t.together}</p>
        {error ? <ErrorBanner error={error} /> : <LimitWords of={rows} />}
      </Modal>
    );
  }
  return (
    <FormDialog<{ limits: LimitRow[] }>
      title={t.limitsOf(name)}
      isOpen={isOpen}
      initial={{ limits: rows }}
      onClose={onClose}
      onSubmit={({ limits }) => save(limits)}
    >
      <p className="muted">{t.together}</p>
      {error ? <ErrorBanner error={error} /> : <LimitFields first="dimension" />}
    </FormDialog>
  );
}
