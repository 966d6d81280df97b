// The pair for an app's tracing, shown once: what to paste into which field of Dify's settings.

import { Alert } from 'antd';
import { useTexts } from '../../i18n/language';
import { Copyable } from '../../ui/Copyable';
import { OnceDialog } from '../../ui/OnceDialog';
import type { DifyApp } from './AppForm';
import { appTexts } from './texts';

interface Props {
  readonly made: DifyApp | null;
  readonly onClose: () => void;
}

export function TracingShown({ made, onClose }: Props) {
  const t = useTexts(appTexts);
  return (
    <OnceDialog
      title={made ? t.tracingOf(made.name) : ''}
      isOpen={made !== null}
      doneLabel={t.gotIt}
      onDone={onClose}
    >
      {made ? <Pair of={made} /> : null}
    </OnceDialog>
  );
}

/** In the order of Dify's own form, by the names that its fields have in every language. */
function Pair({ of: app }: { readonly of: DifyApp }) {
  const t = useTexts(appTexts);
  const fields = [
    { label: 'Secret Key', text: app.tracing?.secret_key ?? '' },
    { label: 'Public Key', text: app.tracing?.public_key ?? '' },
    { label: 'Host', text: window.location.origin },
  ];
  return (
    <div className="stack">
      <Alert type="warning" showIcon title={t.onceHint} />
      <p>{t.pasteHint}</p>
      {fields.map(({ label, text }) => (
        <section key={label}>
          <h3>{label}</h3>
          <Copyable text={text} label={label} isBlock />
        </section>
      ))}
      <p>{t.callHint}</p>
      <Copyable text={window.location.origin + app.path} label={t.address} isBlock />
    </div>
  );
}
