// A form in a dialog. What the server refuses stands beside the field that it is about, and what was
// typed stays, whatever happens.

import { Form, type FormInstance, Modal } from 'antd';
import { type ReactNode, useState } from 'react';
import { type ApiError, fieldOf, type Result } from '../api/errors';
import { type Language, useLanguage, useTexts } from '../i18n/language';
import { ErrorBanner } from './ErrorBanner';
import { reasonOf } from './errorWords';
import { partTexts } from './texts';

interface Props<V extends object> {
  readonly title: string;
  readonly isOpen: boolean;
  readonly initial: V;
  /** `Form.Item`s; a field's name is the API's, so that refusals find it. */
  readonly children: ReactNode;
  readonly submitText?: string | undefined;
  readonly width?: number;
  readonly onSubmit: (values: V) => Promise<Result<unknown>>;
  readonly onClose: () => void;
}

/** Each opening has a form of its own, or it would begin with what the one before was left with. */
export function FormDialog<V extends object>(props: Props<V>) {
  const { isOpen } = props;
  const [opening, setOpening] = useState({ number: 0, isOpen: false });
  if (opening.isOpen !== isOpen) {
    setOpening({ number: opening.number + (isOpen ? 1 : 0), isOpen });
  }
  return <Opened key={opening.number} {...props} />;
}

function Opened<V extends object>(props: Props<V>) {
  const t = useTexts(partTexts);
  const { language } = useLanguage();
  const [form] = Form.useForm<V>();
  const [error, setError] = useState<ApiError | null>(null);
  const [isBusy, setIsBusy] = useState(false);

  const submit = async (values: V): Promise<void> => {
    setIsBusy(true);
    setError(null);
    const result = await props.onSubmit(values);
    setIsBusy(false);
    if (result.ok) props.onClose();
    else if (!showBeside(form, result.error, language)) setError(result.error);
  };

  return (
    <Modal
      title={props.title}
      open={props.isOpen}
      width={props.width ?? 560}
      destroyOnHidden
      okText={props.submitText ?? t.save}
      cancelText={t.cancel}
      confirmLoading={isBusy}
      mask={{ closable: false }} // a slip beside the dialog must not lose what was typed
      onCancel={props.onClose}
      onOk={() => {
        form.submit();
      }}
    >
      <Form<V>
        form={form}
        layout="vertical"
        initialValues={props.initial}
        preserve={false}
        scrollToFirstError
        onFinish={(values) => {
          void submit(values);
        }}
      >
        {error ? <ErrorBanner error={error} /> : null}
        {props.children}
      </Form>
    </Modal>
  );
}

/** Whether the refusal names a field of this form; then it stands there. */
function showBeside<V extends object>(
  form: FormInstance<V>,
  error: ApiError,
  language: Language,
): boolean {
  const about = fieldOf(error);
  if (!about || !(about.name in (form.getFieldsValue(true) as object))) return false;
  // The names of V's fields are the API's own, which the refusal speaks of.
  const name = about.name as Parameters<typeof form.getFieldInstance>[0];
  form.setFields([{ name: name as never, errors: [reasonOf(about.reason, language)] }]);
  form.scrollToField(name, { focus: true });
  return true;
}
