import { ExclamationCircleOutlined } from '@ant-design/icons';
import { definePage } from '../registry';

export default definePage({
  name: 'unpaid',
  title: { en: 'Unpaid and review', 'zh-CN': '欠费与审核', 'zh-TW': '欠點與審核' },
  icon: ExclamationCircleOutlined,
  group: 'money',
  order: 70,
  need: 'read',
  load: () => import('./Unpaid'),
});
