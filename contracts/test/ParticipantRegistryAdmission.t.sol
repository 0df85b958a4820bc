// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IParticipantRegistry} from "../src/interfaces/IParticipantRegistry.sol";
import {IStatementExecutor} from "../src/interfaces/IStatementExecutor.sol";
import {Custody, Decision} from "../src/types/Enumerations.sol";
import {ParticipantApplication} from "../src/types/ParticipantRegistryTypes.sol";
import {Consortium} from "./support/Consortium.sol";

// How an enterprise gets in.
contract ParticipantRegistryAdmissionTest is Consortium {
    function test_INV8_anApplicationIsFiledOnceAndChangesNothing() external {
        Member memory epsilon = _member("epsilon");
        bytes32 head = registry.historyHead();
        _executesOnce(_call(epsilon, _application(epsilon)));
        vm.assertEq(registry.historyHead(), head, "no record");
        _assertStatus(epsilon, IParticipantRegistry.Status.None);
        vm.assertTrue(registry.isExecuted(_digest(_application(epsilon))), "filed");
    }

    function test_refusesAnApplicationUnderAnotherId() external {
        Member memory epsilon = _member("epsilon");
        ParticipantApplication memory application = _application(epsilon);
        application.participant = delta.id;
        _refused(
            _call(epsilon, application),
            abi.encodeWithSelector(
                IParticipantRegistry.ParticipantRegistryIdMismatch.selector,
                delta.id,
                epsilon.id
            )
        );
    }

    function test_refusesAnApplicationWithOneAddressForBothRoles() external {
        Member memory epsilon = _member("epsilon");
        epsilon.signingKey = epsilon.controlKey;
        _refused(_call(epsilon, _application(epsilon)), _taken(epsilon.controlKey, 0));
    }

    function test_refusesAnApplicationWithAnAddressInUse() external {
        Member memory epsilon = _member("epsilon");
        epsilon.signingKey = delta.signingKey;
        _refused(_call(epsilon, _application(epsilon)), _taken(delta.signingKey, delta.id));
    }

    function test_refusesAnApplicationOfUnknownCustody() external {
        Member memory epsilon = _member("epsilon");
        ParticipantApplication memory application = _application(epsilon);
        application.custody = Custody.CUSTODIAL + 1;
        _refused(
            _call(epsilon, application),
            abi.encodeWithSelector(IParticipantRegistry.ParticipantRegistryCustodyUnknown.selector, 2)
        );
    }

    function test_refusesAnApplicationThatAnotherKeySigned() external {
        Member memory epsilon = _member("epsilon");
        ParticipantApplication memory application = _application(epsilon);
        Member memory thief = epsilon;
        thief.controlKey = alpha.controlKey;
        _refused(
            _call(thief, application),
            abi.encodeWithSelector(
                IParticipantRegistry.ParticipantRegistryNotControlKey.selector,
                epsilon.id,
                application.controlKey,
                vm.addr(alpha.controlKey)
            )
        );
        thief = _member("epsilon");
        thief.signingKey = alpha.signingKey;
        _refused(
            _call(thief, application),
            abi.encodeWithSelector(
                IStatementExecutor.StatementExecutorSignatureInvalid.selector,
                _digest(application),
                application.signingKey
            )
        );
    }

    function test_anApplicationIsVotedInAfterItsDeadlineToo() external {
        Member memory epsilon = _member("epsilon");
        _executes(_call(epsilon, _application(epsilon)));
        vm.warp(DEADLINE + 1);
        _decide(Decision.ADMIT, epsilon.id, _digest(_application(epsilon)));
        _assertStatus(epsilon, IParticipantRegistry.Status.Active);
        Member memory late = _member("late");
        _refused(
            _call(late, _application(late)),
            abi.encodeWithSelector(
                IStatementExecutor.StatementExecutorDeadlinePassed.selector,
                _digest(_application(late)),
                DEADLINE,
                DEADLINE + 1
            )
        );
    }

    function test_admitTakesTheFiledApplicationOfThatSubject() external {
        Member memory epsilon = _member("epsilon");
        bytes32 digest = _digest(_application(epsilon));
        _refusesArgument(Decision.ADMIT, epsilon.id, digest);
        _executes(_call(epsilon, _application(epsilon)));
        _refusesArgument(Decision.ADMIT, delta.id, digest);
        _refusesArgument(Decision.ADMIT, 0, 0);
        _decide(Decision.ADMIT, epsilon.id, digest);
        _refused(
            _call(gamma, _ballot(gamma, Decision.ADMIT, epsilon.id, digest)),
            _taken(epsilon.controlKey, epsilon.id)
        );
    }
}
