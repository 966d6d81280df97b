import { ExperimentOutlined } from '@ant-design/icons';
import { definePage } from '../registry';

export default definePage({
  name: 'dify',
  title: { en: 'Dify test', 'zh-CN': 'Dify 测试', 'zh-TW': 'Dify 測試' },
  icon: ExperimentOutlined,
  group: 'mine',
  order: 90,
  need: 'signedIn',
  isOwnDocument: true,
  load: () => import('./Dify'),
});
